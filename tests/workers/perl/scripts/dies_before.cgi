#!/usr/bin/perl
die "before anything\n";
