#!/usr/bin/perl
use utf8; print "Content-Type: text/plain; charset=utf-8\n\n"; binmode STDOUT, ":utf8"; print "\x{263a} é\n"; binmode STDOUT, ":crlf"; print "crlf\n"; binmode STDOUT, ":encoding(UTF-16LE)"; print "wide\n";
