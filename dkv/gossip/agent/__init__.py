"""The asyncio shell: sockets, files and clock around the kernel."""
