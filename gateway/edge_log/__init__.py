"""The edge's access log: read in a stream, summed up in bounded memory, and told what will be asked for next."""
