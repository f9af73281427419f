#!/usr/bin/perl
print "Content-Type: application/octet-stream\r\n\r\n"; binmode STDOUT; print join "", map { chr } 0 .. 255;
