#!/usr/bin/perl -CS -l
print "Content-Type: text/plain\n";
print "\x{e4}\x{20ac}";
print "second";
