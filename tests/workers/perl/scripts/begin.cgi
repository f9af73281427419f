#!/usr/bin/perl
use strict; my (%config, $port, @paths);
BEGIN { %config = (color => "blue", list => [1, 2]); $port = 80; @paths = qw(a b) }
print "Content-Type: text/plain\n\n";
print join(",", map { "$_=" . (ref $config{$_} ? "ref" : $config{$_}) } sort keys %config), " $port @paths\n";
$config{color} = "red"; delete $config{list}; $port++; push @paths, "c"; print "$config{color} $port @paths\n";
