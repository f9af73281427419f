#!/usr/bin/perl -w
my $undefined;
print "Content-Type: text/plain\n\n$^W " . "sum " . (1 + ($ENV{NOT_THERE} || 0)) . "\n";
print "with undef: $undefined\n";
print STDERR "on standard error\n";
warn "a warning";
warn "with a line\n";
{ no warnings; my $x = "a" + 1; print "$x\n" }
local $SIG{__WARN__} = sub { print "handled: $_[0]" };
my $text = "abc";
my $y = $text + 1;
