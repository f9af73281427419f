#!/usr/bin/perl
use CGI::Carp qw(fatalsToBrowser); sub fail { die "something broke\n" } fail();
