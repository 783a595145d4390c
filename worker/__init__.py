"""The OCR worker: a page image goes in, its text lines come out. Knows nothing of HTTP, caches or the gateway."""
