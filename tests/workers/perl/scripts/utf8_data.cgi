#!/usr/bin/perl
use utf8; binmode STDOUT, ":utf8"; print "Content-Type: text/plain\n\n"; my $line = <DATA>; print length $line, " $line";
__DATA__
äöü