// Key mode at the edge: what a request's API key, or its link that the gateway signed, opens. Run by njs
// (libnginx-mod-http-js). Whatever breaks is an empty string to nginx, which means nothing.
// gateway/signing.py makes and checks the same links; infra/nginx/edge_config/keys.py writes what is checked with.
//
// What has which form is judged by nginx (keys/edge/http.conf): njs starts anew for each request, and compiling one
// regular expression costs it more than the HMAC.

import crypto from 'crypto';

// Seconds that the edge's own link holds: the longest way to a gateway, through other edges, with clocks a little apart.
const ON_THE_WAY = 120;

/**
 * The query of the link under which a look-up is answered: the one it came with, or one to the result of the API key's
 * tenant. `-`: the gateway is asked with the request's own credential. Empty: nobody may.
 */
function lookup_query(r) {
    const variables = r.variables;
    if (!variables.key_given) {
        return signed(variables) ? variables.signed_query : '';
    }
    const tenant = tenant_of(variables.offered_key);
    if (!tenant || variables.sole_credential !== '1') {
        return tenant === undefined ? '' : '-';
    }
    const expires = String(Math.floor(Date.now() / 1000) + ON_THE_WAY);
    const message = `ocr-lookup-1\n${tenant}\n${variables.result_id}\n${expires}\n`;
    // With the last key: where keys are being replaced, it is the one that every gateway accepts.
    const signature = hmac(edge_keys.signing[edge_keys.signing.length - 1], message).toString('hex');
    return `tenant=${tenant}&expires=${expires}&signature=${signature}`;
}

/** Whether any other request has a key: '1', or nothing. */
function may_call(r) {
    return tenant_of(r.variables.offered_key) === undefined ? '' : '1';
}

/** Whose key this is; empty where the gateway has to say (no keys were rendered, an operator's); undefined: nobody's. */
function tenant_of(key) {
    if (key === '') {
        return undefined;
    }
    return edge_keys.digests === null ? '' : edge_keys.digests[crypto.createHash('sha256').update(key).digest('hex')];
}

function signed(variables) {
    const message = variables.signed_message;
    if (!message || Date.now() >= 1000 * variables.link_expires) {
        return false;
    }
    const signature = Buffer.from(variables.link_signature, 'hex');
    // A preloaded array has a length and items, and none of an array's methods.
    for (let at = 0; at < edge_keys.signing.length; at += 1) {
        if (same(hmac(edge_keys.signing[at], message), signature)) {
            // A link outlives its tenant's keys, and not its tenant.
            return edge_keys.tenants === null || edge_keys.tenants[variables.link_tenant] === true;
        }
    }
    return false;
}

function hmac(key, message) {
    return crypto.createHmac('sha256', Buffer.from(key, 'hex')).update(message).digest();
}

/** Compares all 32 bytes, wherever they differ: the time says nothing. */
function same(one, other) {
    let different = 0;
    for (let at = 0; at < 32; at += 4) {
        different |= one.readInt32LE(at) ^ other.readInt32LE(at);
    }
    return different === 0;
}

export default {lookup_query, may_call};
