#!/usr/bin/perl -T
# Passes taint checks where they are made.
use strict;
use warnings;
$ENV{PATH} = '/usr/bin:/bin';
delete @ENV{qw(IFS CDPATH ENV BASH_ENV)};
my ($word) = $ENV{QUERY_STRING} =~ /^(\w+)$/ or die "a bad word\n";
print "Content-Type: text/plain\n\n", `echo $word`, $^W, "\n";
