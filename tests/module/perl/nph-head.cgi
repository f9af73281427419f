#!/usr/bin/perl
print "HTTP/1.1 207 Many\r\nContent-Type: text/plain\r\nX-Method: $ENV{REQUEST_METHOD}\r\n\r\nfrom nph\n";
