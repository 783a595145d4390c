// Key mode at the edge: is there an API key, or a link that the gateway signed? Run by njs (libnginx-mod-http-js).
// Each function says '1' for yes; whatever breaks is an empty string to nginx, which means no.
// The gateway checks again whatever reaches it; gateway/signing.py makes what `signed` checks.

import crypto from 'crypto';

const KEY = /^ocr_[A-Za-z0-9_-]{43}$|^[\x21-\x7e]{1,512}$/;
const SIGNED = /^[a-z0-9-]{1,48}$/;
const EXPIRES = /^[1-9][0-9]{0,10}$/;
const SIGNATURE = /^[0-9a-f]{64}$/;

/** Whether a look-up has a key, or a valid link. */
function may_look_up(r) {
    const key = api_key(r);
    return (key === null ? signed(r) : known(key)) ? '1' : '';
}

/** Whether any other request has what the gateway will ask for. */
function may_call(r) {
    // A preflight carries no credentials; the page, the description and health need none.
    if (r.method === 'OPTIONS' || /^\/(?:static\/.*|docs|openapi\.json|healthz|readyz)?$/.test(r.uri)) {
        return '1';
    }
    const key = api_key(r);
    return key !== null && known(key) ? '1' : '';
}

/** The key in a request; '' for a credential that is none, null without any. */
function api_key(r) {
    const authorization = r.headersIn['Authorization'];
    if (authorization) {
        const found = /^bearer +(\S+) *$/i.exec(authorization);
        return found ? found[1] : '';
    }
    return r.headersIn['X-API-Key'] || null;
}

/** Whether a key may be asked about at the gateway: one of those rendered, where they were. */
function known(key) {
    if (!KEY.test(key)) {
        return false;
    }
    const digests = edge_keys.digests;
    return digests === null || digests[crypto.createHash('sha256').update(key).digest('hex')] === 1;
}

function signed(r) {
    const tenant = r.variables.arg_tenant;
    const expires = r.variables.arg_expires;
    const signature = r.variables.arg_signature;
    if (!SIGNED.test(tenant) || !EXPIRES.test(expires) || !SIGNATURE.test(signature)) {
        return false;
    }
    if (Date.now() / 1000 >= Number(expires)) {
        return false;
    }
    const message = `ocr-lookup-1\n${tenant}\n${r.variables.result_id}\n${expires}\n`;
    // A preloaded array has a length and items, and none of an array's methods.
    for (let at = 0; at < edge_keys.signing.length; at += 1) {
        const key = Buffer.from(edge_keys.signing[at], 'hex');
        if (same(crypto.createHmac('sha256', key).update(message).digest('hex'), signature)) {
            return true;
        }
    }
    return false;
}

/** Compares all 64 digits, wherever they differ: the time says nothing. */
function same(one, other) {
    let different = 0;
    for (let at = 0; at < 64; at += 1) {
        different |= one.charCodeAt(at) ^ other.charCodeAt(at);
    }
    return different === 0;
}

export default {may_look_up, may_call};
