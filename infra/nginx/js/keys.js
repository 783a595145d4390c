// Key mode at the edge: is there an API key, or a link that the gateway signed? Run by njs (libnginx-mod-http-js).
// Each function says '1' for yes; whatever breaks is an empty string to nginx, which means no.
// The gateway checks again whatever reaches it; gateway/signing.py makes what `signed` checks.
//
// What has which form is judged by nginx (keys/edge/http.conf): njs starts anew for each request, and compiling one
// regular expression costs it more than the HMAC.

import crypto from 'crypto';

/** Whether a look-up has a key, or a valid link. */
function may_look_up(r) {
    return (r.variables.key_given ? known(r.variables.offered_key) : signed(r.variables)) ? '1' : '';
}

/** Whether any other request has a key. */
function may_call(r) {
    return known(r.variables.offered_key) ? '1' : '';
}

/** Whether a key may be asked about at the gateway: one of those rendered, where they were. */
function known(key) {
    const digests = edge_keys.digests;
    return key !== '' && (digests === null || digests[crypto.createHash('sha256').update(key).digest('hex')] === 1);
}

function signed(variables) {
    const message = variables.signed_message;
    if (!message || Date.now() >= 1000 * variables.link_expires) {
        return false;
    }
    const signature = Buffer.from(variables.link_signature, 'hex');
    // A preloaded array has a length and items, and none of an array's methods.
    for (let at = 0; at < edge_keys.signing.length; at += 1) {
        const key = Buffer.from(edge_keys.signing[at], 'hex');
        if (same(crypto.createHmac('sha256', key).update(message).digest(), signature)) {
            return true;
        }
    }
    return false;
}

/** Compares all 32 bytes, wherever they differ: the time says nothing. */
function same(one, other) {
    let different = 0;
    for (let at = 0; at < 32; at += 4) {
        different |= one.readInt32LE(at) ^ other.readInt32LE(at);
    }
    return different === 0;
}

export default {may_look_up, may_call};
