#!/usr/bin/perl
print "Content-Type: text/plain\n\nfine\n";

=pod

Never closed.