<?php
echo 'hello';
throw new Exception("request {$_GET['i']}");
