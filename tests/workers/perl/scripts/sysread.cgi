#!/usr/bin/perl
print "Content-Type: text/plain\n\n"; my ($all, $n) = ("", 0); while ($n = sysread STDIN, my $piece, 1000) { $all .= $piece } print length $all, " ", unpack("%32C*", $all), "\n";
