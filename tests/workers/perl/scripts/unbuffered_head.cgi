#!/usr/bin/perl
$| = 1; syswrite STDOUT, "Content-Type: text/plain\n"; syswrite STDOUT, "X-Two: 2\n\n"; print "x" x 20000; syswrite STDOUT, "\nend\n";
