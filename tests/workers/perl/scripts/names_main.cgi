#!/usr/bin/perl
our $title = "title"; sub heading { "<$main::title $::title>" } print "Content-Type: text/plain\n\n"; print main::heading(), "\n"; print main->can("heading") ? "can\n" : "cannot\n";
