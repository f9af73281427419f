<?php
$body = file_get_contents('php://input');
header('X-After: reading');
echo $body;
