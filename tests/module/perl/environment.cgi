#!/usr/bin/perl
print "Content-Type: text/plain\n\n";
print map { "$_=$ENV{$_}\n" } sort keys %ENV;
print "in a child:\n", `env | sort`, "$0 @ARGV ", __FILE__, ' ', -f $0 ? 1 : 0, "\n";
use Cwd; use FindBin;
print getcwd(), " $FindBin::Bin $FindBin::Script\n", umask, "\n";
