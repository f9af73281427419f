#!/usr/bin/perl
# The trap of closures: named subroutines that use the file's variables.
use strict;
use warnings;
my $count = 0;
my %seen;
my ($who) = $ENV{QUERY_STRING} =~ /(\w*)/;
sub count { return ++$count }
sub seen { $seen{$who}++; return join ',', map { "$_=$seen{$_}" } sort keys %seen }
{ my $private = 10; sub private { return $private++ } }
my $anonymous = sub { $count * 100 + (shift // 0) };
my @subs = map { my $n = $_; sub { $n + $count } } 1 .. 3;
print "Content-Type: text/plain\n\n";
print join(' ', count(), count(), seen(), seen(), private() // 'undef', $anonymous->(7), map { $_->() } @subs), "\n";
sub outer { my $x = shift; my $inner = sub { $x . $who . count() }; return $inner->() }
print outer('a'), outer('b'), "\n";
use feature 'state';
sub stateful { state $n = 0; return ++$n }
print stateful() > 0 ? "state\n" : "none\n";
