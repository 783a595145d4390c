// Age (RFC 9111, 5.1) of an answer from the cache. The stored Date is the gateway's, from when it made the answer.
function age(r) {
    var word = r.variables.upstream_cache_status;
    if (word === 'HIT' || word === 'STALE' || word === 'UPDATING') {
        var made = Date.parse(r.variables.upstream_http_date);
        if (!isNaN(made)) {
            r.headersOut.Age = String(Math.max(0, Math.floor((Date.now() - made) / 1000)));
        }
    }
}

export default { age };
