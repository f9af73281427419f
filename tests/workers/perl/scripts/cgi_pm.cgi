#!/usr/bin/perl
use strict; use CGI qw(:standard); my $q = CGI->new; print $q->header(-type => "text/plain", -cookie => $q->cookie(-name => "c", -value => "v"), -charset => "utf-8"); print join(",", map { "$_=" . join "+", $q->multi_param($_) } sort $q->param), "\n", $q->request_method, " ", $q->url(-path_info => 1), " ", $q->self_url, " ", ($q->cookie("in") // "none"), "\n"; print scalar(param("a")) // "no a", "\n";
if (my $file = $q->upload("file")) { local $/; my $text = <$file>; print scalar($q->param("file")), " ", length $text, "\n" }
