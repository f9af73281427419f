#!/usr/bin/perl
use FindBin; use lib "$FindBin::Bin/lib"; use Local::Module; print "Content-Type: text/plain\n\n"; print Local::Module::hello(), " ", $FindBin::Bin =~ m{([^/]+)$}, " $FindBin::Script\n";
