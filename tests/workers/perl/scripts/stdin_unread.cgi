#!/usr/bin/perl
print "Content-Type: text/plain\n\n"; my $c = getc; print "$c\n"; close STDIN if $ENV{QUERY_STRING};
