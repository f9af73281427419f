#!/usr/bin/perl
require "./common.pl"; print "Content-Type: text/plain\n\n"; print &greet("one"), "\n"; our $shared = "of library"; print &shared_name(), "\n";
