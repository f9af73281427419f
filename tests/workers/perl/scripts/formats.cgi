#!/usr/bin/perl
our ($name, $value) = ("first", 1.5); my $my = "mine $ENV{QUERY_STRING}";
format STDOUT_TOP =
Name       Value
----------------
.
format STDOUT =
@<<<<<<<<< @##.## @*
$name,     $value, $my
.
print "Content-Type: text/plain\n\n"; write; ($name, $value) = ("second", 22); write; $~ = "OTHER"; write; print "$^ $~ $= $-\n";
format OTHER =
other @>>>>>>>
$name
.
