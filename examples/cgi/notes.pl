#!/usr/bin/perl
# One program for every path under /notes/: it does its own routing by PATH_INFO.
use strict;
use warnings;

my %note = (
    '/'       => "Notes: /notes/models, /notes/paths\n",
    '/models' => "files, cgi, module, app, function\n",
    '/paths'  => "SCRIPT_NAME and PATH_INFO together are the path of the request\n",
);
my $path = $ENV{PATH_INFO} // '';
$path = '/' if $path eq '';

binmode STDOUT;
my $text = $note{$path};
print "Status: 404 Not Found\r\n" unless defined $text;
print "Content-Type: text/plain; charset=utf-8\r\n\r\n";
print $text // "There is no such note.\n";
close STDOUT or die "The response could not be written: $!\n";
