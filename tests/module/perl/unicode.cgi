#!/usr/bin/perl
use strict;
use warnings;
use utf8;
use open qw(:std :encoding(UTF-8));
my $text = 'Grüße aus Köln €';
print "Content-Type: text/plain; charset=utf-8\n\n", $text, ' ', length $text, ' ', uc $text, "\n", lc 'ÄÖÜ', "\n";
my $in = <STDIN> // '';
chomp $in;
print length $in, " $in\n", join(' ', map { sprintf '%x', ord } split //, $in), "\n", scalar reverse($text), "\n";
print "matches\n" if $in =~ /^\w+$/;
