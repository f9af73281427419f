#!/usr/bin/perl
use strict; sub done { my $x = Guard->new; exit } print "Content-Type: text/plain\n\n"; for my $i (1 .. 3) { local $_ = $i; done() if $i == 2; print "$i\n" }
package Guard; sub new { bless [], shift } sub DESTROY { print "destroyed\n" }
