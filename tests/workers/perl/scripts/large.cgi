#!/usr/bin/perl
print "Content-Type: text/plain\n\n"; for my $i (1 .. 20000) { print "$i: ", "x" x 40, "\n" } 
