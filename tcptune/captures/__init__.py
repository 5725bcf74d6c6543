"""What a capture of packets says: bytes -> segments -> flows -> causes. Pure: no files, no sockets, no clock."""
