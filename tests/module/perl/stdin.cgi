#!/usr/bin/perl
# Every style of reading the body.
use strict;
use warnings;
use IO::Handle;
print "Content-Type: application/octet-stream\n\n";
my $how = $ENV{QUERY_STRING};
binmode STDIN if $how ne 'text';
if ($how eq 'line' || $how eq 'text') { while (my $line = <STDIN>) { print "$.: ", length $line, ' ', substr($line, 0, 20) } print eof STDIN ? "eof\n" : "more\n" }
elsif ($how eq 'slurp') { local $/; my $all = <STDIN>; print length $all, ' ', substr($all, -20) }
elsif ($how eq 'list') { my @all = <STDIN>; print scalar @all, ' ', length join('', @all), ' ', substr $all[-1], 0, 20 }
elsif ($how eq 'read') { my $all = ''; my $n = 0; while (my $got = read STDIN, $all, 1000, length $all) { $n++ } print "$n reads: ", length $all }
elsif ($how eq 'length') { my $got = read STDIN, my $all, $ENV{CONTENT_LENGTH}; print "$got: ", substr $all, 0, 20 }
elsif ($how eq 'beyond') { my $got = read STDIN, my $all, $ENV{CONTENT_LENGTH} + 100; print $got, ' ', read(STDIN, $all, 10), ' ', eof(STDIN) ? 1 : 0 }
elsif ($how eq 'sysread') { my $all = ''; 1 while sysread STDIN, $all, 4096, length $all; print length $all, ' ', substr $all, -20 }
elsif ($how eq 'getc') { my $n = 0; while (defined(my $c = getc STDIN)) { print $c if $n++ < 10 } print " $n" }
elsif ($how eq 'diamond') { my $n = 0; while (<>) { $n += length } print "$n $ARGV" }
elsif ($how eq 'dash') { open my $in, '-' or die; my $n = 0; $n += length while <$in>; print $n }
elsif ($how eq 'copy') { open my $in, '<&', \*STDIN or die $!; my $n = 0; $n += length while <$in>; print $n }
elsif ($how eq 'descriptor') { open my $in, '<&=', 0 or die $!; my $n = 0; $n += length while <$in>; print $n }
elsif ($how eq 'handle') { my $io = IO::Handle->new_from_fd(fileno STDIN, 'r') or die; my $n = 0; $n += length while defined($_ = $io->getline); print $n }
elsif ($how eq 'child') { print STDOUT ''; STDOUT->flush; system 'wc -c' }
elsif ($how eq 'half') { read STDIN, my $some, 10; print "[$some]" }
elsif ($how eq 'record') { local $/ = \100; my $n = 0; $n++ while <STDIN>; print $n }
elsif ($how eq 'separator') { local $/ = '0'; my $n = 0; $n++ while <STDIN>; print $n }
elsif ($how eq 'utf8') { binmode STDIN, ':utf8'; local $/; my $all = <STDIN>; print length $all }
elsif ($how eq 'encoding') { binmode STDIN, ':encoding(latin1)'; local $/; my $all = <STDIN>; print length $all }
elsif ($how eq 'reopen') { open STDIN, '<', $0 or die; my $first = <STDIN>; print $first }
elsif ($how eq 'closed') { close STDIN; my $line = <STDIN>; print defined $line ? $line : 'nothing' }
print "\n", fileno(STDIN) // 'closed', "\n";
