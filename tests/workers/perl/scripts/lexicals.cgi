#!/usr/bin/perl
use strict; use warnings;
my $name = $ENV{QUERY_STRING}; my @list; my %seen;
push @list, $name; $seen{$name}++;
sub show { return "$name @list " . join ",", sort keys %seen }
sub outer { my $x = shift; return $x ? outer($x - 1) . $name : show() }
print "Content-Type: text/plain\n\n";
print show(), "\n", outer(3), "\n";
$name .= " changed"; push @list, "more";
print show(), "\n", outer(2), "\n";
my $late = "late"; my $code = sub { $name .= $late; show() }; print $code->(), "\n";
{ package Other; sub name { return lc $name } } print Other::name(), "\n";
END { print "the end of $name @list\n" }
