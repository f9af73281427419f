#!/usr/bin/perl
require "./common.pl"; print "Content-Type: text/plain\n\n"; print &greet("two"), "\n"; our $shared = "of library_again"; print &shared_name(), "\n";
