#!/usr/bin/perl
my $title = "T$ENV{QUERY_STRING}"; print <<"HEAD", <<'BODY';
Content-Type: text/html

<title>$title</title>
HEAD
<p>$not_interpolated</p>
BODY
print <<~EOT;
    indented $title
    EOT
