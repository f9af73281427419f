#!/usr/bin/perl
use strict;
use warnings;
our ($name, $amount, $text);
format STDOUT_TOP =
Page @<< of report
$%
Name       Amount
.
format STDOUT =
@<<<<<<<<< @###.##
$name,     $amount
    ^<<<<<<<<<~~
$text
.
format SHORT =
@>>>>>|@||||||
$name, $amount
.
print "Content-Type: text/plain\n\n";
$= = 12;
for (1 .. 10) { ($name, $amount, $text) = ("row $_", $_ * 1.5, 'some words that are folded'); write }
$~ = 'SHORT';
write;
print "lines left $-, page $%\n";
use Carp;
my $line = swrite("@<< @>>\n", 'a', 'b');
sub swrite { my $format = shift; $^A = ''; formline($format, @_); return $^A }
print $line;
