<?php
die('last words');
