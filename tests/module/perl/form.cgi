#!/usr/bin/perl -w
# What CGI.pm makes of a form, a query, cookies and the request's place.
use strict;
use CGI qw(:standard escapeHTML);
use CGI::Cookie;
my $q = CGI->new;
my @names = sort $q->multi_param;
my %cookies = CGI::Cookie->fetch;
print $q->header(-type => 'text/html', -charset => 'utf-8', -status => '201 Made', -cookie => [$q->cookie(-name => 'n', -value => { a => 1 }), 'plain=1'],
    -X_Names => scalar @names, -expires => 'Thu, 01 Jan 2037 00:00:00 GMT');
print start_html(-title => 'Form'), h1(escapeHTML('<&>')), "\n";
for my $name (@names) { print p(escapeHTML($name), map { escapeHTML("[$_]") } $q->multi_param($name)), "\n" }
print p($_, $cookies{$_}->value), "\n" for sort keys %cookies;
print p($q->request_method, $q->path_info, $q->url(-relative => 1), $q->self_url, $q->query_string, $q->url_param('a') // 'none'), "\n";
print start_form(-action => 'next'), textfield('a'), checkbox_group(-name => 'b', -values => [1, 2]), hidden('c'), end_form, "\n";
$q->delete('a');
$q->param(d => 'set');
print p($q->query_string), param('b') // 'no b', end_html;
