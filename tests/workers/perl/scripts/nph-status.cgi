#!/usr/bin/perl
print "HTTP/1.0 404 Nowhere\r\nContent-Type: text/plain\r\n\r\nnot here\n";
