"""The NBD server: started volumes for virtual machines and tools, over a unix socket."""
