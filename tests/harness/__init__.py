"""What the suites over the wire share: a server under test, a strict HTTP/1.1 client, processes, folders."""
