#!/usr/bin/perl
use strict;
use warnings;
BEGIN { $| = 1; binmode STDOUT, ':utf8'; $, = '+'; $SIG{ALRM} = sub { die "alarm\n" } }
use constant { ONE => 1, LIST => [1, 2] };
BEGIN { *made = sub { "made @_" } }
print "Content-Type: text/plain\n\n";
print "\x{20ac}", ONE, LIST->[1], made('x'), $|, "\n";
eval { alarm 1; select undef, undef, undef, 5; 1 } or print "ended by $@";
