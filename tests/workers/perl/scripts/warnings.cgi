#!/usr/bin/perl -w
print "Content-Type: text/plain\n\n"; my $x; my $y = "a" . $x; warn "plain\n"; warn "with line"; print STDERR "no newline"; print STDERR " yet\n"; print "$^W\n"; print STDERR "last without end";
