#!/usr/bin/perl
use strict;
use warnings;
print "Content-Type: text/plain\n\n";
my $at = tell DATA;
my @lines = <DATA>;
print scalar(@lines), " lines, last '$lines[-1]', line $.\n";
seek DATA, $at, 0;
$. = 0;
while (<DATA>) { chomp; print "$.: $_\n" if /\S/; last if $. == 2 }
{ local $/ = ''; my $paragraph = <DATA>; print "paragraph: $paragraph" }
{ local $/ = \5; print 'five: ', scalar <DATA>, "\n" }
__DATA__
first line
second line

a paragraph
of two lines

the rest, äöü
__END__
is data too
