#!/usr/bin/perl
# A library of the script's own, files beside it, string eval, sort with $a and $b, local.
use strict;
use warnings;
use lib 'lib';
require './library.pl';
our @list = (10, 9, 100);
our $global = 'script';
print "Content-Type: text/plain\n\n";
print library_name(), ' ', join(',', sort { $a <=> $b } @list), ' ', join(',', sort by_text @list), "\n";
sub by_text { $a cmp $b }
sub show { return $global }
{ local $global = 'local'; print show(), "\n" }
my $lexical = 3;
print eval('$lexical * 2 + @list'), ' ', eval { die [1, 2] } // "list $@->[0]", "\n";
eval 'sub defined_later { return "later" }';
print defined_later(), ' ', defined &nothing ? 1 : 0, ' ', __PACKAGE__->can('show') ? 'can' : 'cannot', "\n";
my $result = do './library.pl';
print "do: $result\n";
print join(',', map { sprintf '%s', $_ } glob '*.pl'), "\n";
no strict 'refs';
my $name = 'show';
print &$name(), ' ', *{'global'}{SCALAR} ? 'glob' : '', ' ', "@{[caller]}", "\n";
local $_ = 'topic';
print if /top/;
print "\n";
