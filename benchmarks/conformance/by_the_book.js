// RFC 9111 for an nginx that caches anything: njs (0.7.9 or later).
//
// `freshness` runs in an inner server, between the origin and the cache, on misses only. It works out until when the
// answer is fresh, in the RFC's way, and tells the cache that alone: X-Accel-Expires. `age` runs on the way to the client.

var DELTA = /^[0-9]+$/;
// The one form that senders must use (RFC 9110, 5.6.7). Anything else is a time in the past.
var IMF_FIXDATE = /^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$/;
// A directive: a token, and what may follow it as a token or a quoted string.
var DIRECTIVE = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,;]*)))?[^,]*/g;
var LARGEST = 2147483647;

function lines(r, name) {
    return r.rawHeadersOut
        .filter(function (header) { return header[0].toLowerCase() === name; })
        .map(function (header) { return header[1]; });
}

function directives(values) {
    var found = {};
    values.join(',').replace(DIRECTIVE, function (_, name, quoted, token) {
        name = name.toLowerCase();
        var value = quoted !== undefined ? quoted : token;
        // Of two that differ the shorter-lived one: nothing is kept longer than somebody meant.
        if (found[name] === undefined || seconds(value) < seconds(found[name])) {
            found[name] = value === undefined ? '' : value;
        }
        return '';
    });
    return found;
}

function seconds(text) {
    return text !== undefined && DELTA.test(text) ? Math.min(Number(text), LARGEST) : 0;
}

// RFC 9213: a structured field; one that is none, or has a lifetime that is no integer, does not exist.
function targeted(values) {
    var text = values.join(', ').trim();
    if (text === '' || !/^[a-z*][a-z0-9_*.-]*(?:=[^,]+)?(?:[ \t]*,[ \t]*[a-z*][a-z0-9_*.-]*(?:=[^,]+)?)*$/.test(text)) {
        return undefined;
    }
    var found = {};
    text.split(',').forEach(function (member) {
        var parts = member.split(';')[0].split('=');
        found[parts[0].trim()] = parts[1] === undefined ? '' : parts[1].trim();
    });
    if (found['max-age'] !== undefined && !DELTA.test(found['max-age'])) {
        return undefined;
    }
    return found;
}

function date(text) {
    var parsed = text !== undefined && IMF_FIXDATE.test(text) ? Date.parse(text) : NaN;
    return isNaN(parsed) ? undefined : parsed / 1000;
}

function ageOf(values) {
    // The first member of a list is the nearest cache's (RFC 9111, 5.1); what is no number is ignored.
    var first = values.length ? values[0].split(',')[0].trim() : '';
    return DELTA.test(first) ? Math.min(Number(first), LARGEST) : 0;
}

function lifetime(r, now) {
    var ours = targeted(lines(r, 'cdn-cache-control'));
    var cc = ours || directives(lines(r, 'cache-control'));
    if (cc['no-store'] !== undefined || cc['private'] !== undefined || cc['no-cache'] !== undefined) {
        return 0;
    }
    if (lines(r, 'vary').join(',').split(',').some(function (name) { return name.trim() === '*'; })) {
        return 0;
    }
    if (r.headersIn.Authorization !== undefined
        && cc['public'] === undefined && cc['s-maxage'] === undefined && cc['must-revalidate'] === undefined) {
        return 0;
    }
    if (cc['s-maxage'] !== undefined) {
        return seconds(cc['s-maxage']);
    }
    if (cc['max-age'] !== undefined) {
        return seconds(cc['max-age']);
    }
    var expires = lines(r, 'expires');
    if (expires.length === 0 || ours) {
        return 0;
    }
    var end = date(expires[0]);
    var made = date(r.variables.upstream_http_date);
    return end === undefined ? 0 : end - (made === undefined ? now : made);
}

function freshness(r) {
    var now = Math.floor(Date.now() / 1000);
    var made = date(r.variables.upstream_http_date);
    var apparent = made === undefined ? 0 : Math.max(0, now - made);
    // Without an Age nobody has held it, and a clock that differs makes no answer old.
    var age = Math.max(lines(r, 'age').length ? apparent : 0, ageOf(lines(r, 'age')));
    var left = r.status === 206 || r.status < 200 ? 0 : lifetime(r, now) - age;

    // Only for the next on the way (RFC 9110, 7.6.1).
    (r.variables.upstream_http_connection || '').split(',').forEach(function (name) {
        name = name.trim();
        if (name !== '' && !/^(close|keep-alive|connection)$/i.test(name)) {
            delete r.headersOut[name];
        }
    });
    r.headersOut['X-Edge-Born'] = String(now - age);
    // nginx answers through the second it is given.
    r.headersOut['X-Accel-Expires'] = left > 0 ? '@' + (now + left - 1) : '0';
}

function age(r) {
    var born = r.variables.upstream_http_x_edge_born;
    delete r.headersOut['X-Edge-Born'];
    var status = r.variables.upstream_cache_status;
    if (born !== undefined && status && status !== 'MISS' && status !== 'EXPIRED' && status !== 'BYPASS') {
        r.headersOut.Age = String(Math.max(0, Math.floor(Date.now() / 1000) - Number(born)));
    }
}

export default { freshness, age };
