#!/usr/bin/perl
print "Content-Type: text/plain\n\n", "hello\n";
