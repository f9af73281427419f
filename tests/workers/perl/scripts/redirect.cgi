#!/usr/bin/perl
print "Status: 302 Found\nLocation: http://example.org/x\n\n";
