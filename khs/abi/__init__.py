"""The hypercall ABI: `hypercalls.toml` is the one source, everything else here is generated."""
