#!/usr/bin/perl
# All the ways in which a script ends.
use strict;
use warnings;
my $how = $ENV{QUERY_STRING};
my $object = bless {}, 'Object';
sub Object::DESTROY { print "destroyed ($how)\n" }
END { print "first END, status $?\n"; $? = 5 if $how eq 'status' }
END { print "second END of $how\n" }
$SIG{__DIE__} = sub { print "handler: $_[0]" } if $how eq 'handler';
die "before the head\n" if $how eq 'early';
exit 2 if $how eq 'silent';
print "Content-Type: text/plain\n\nbegin\n";
exit if $how eq 'exit';
exit 4 if $how eq 'status';
eval { exit 0 } if $how eq 'in-eval';
die "on purpose" if $how eq 'die' || $how eq 'handler';
die { code => 42 } if $how eq 'reference';
sub deep { my $n = shift; $n ? deep($n - 1) : exit } deep(20) if $how eq 'deep';
map { exit if $_ == 3 } 1 .. 5 if $how eq 'map';
local $@ = 'kept';
eval { die "inner\n" };
print "caught $@";
my $list = [sort { exit if $how eq 'sort'; $a <=> $b } 3, 1, 2];
kill 'TERM', $$ if $how eq 'never';
close STDOUT if $how eq 'close';
print "end @$list\n";
